# One more parameter of every rule: what its inputs depend on; see zsad/workflow/lineage.py.
from zsad.workflow.lineage import NAME, STAGE, Lineages, stage_parameter
from zsad.workflow.snakemake_api import is_new, own_rules

# Also in jobs on a cluster: they compare the parameters of finished steps of a submission.
ours = own_rules(workflow)
lineages = Lineages(ours)
for own in ours.values():
    if "code" in own.rule.params.keys() and is_new(workflow, own.rule):
        own.rule.set_params(**{NAME: lineages.parameter(own.rule)})
        if MODULE:
            own.rule.set_params(**{STAGE: stage_parameter(own.name)})
