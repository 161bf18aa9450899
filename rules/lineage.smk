# One more parameter of every rule, behind all of them: what its inputs depend on; see zsad/workflow/lineage.py.
from snakemake.iocontainers import Wildcards

from zsad.workflow.lineage import NAME, Lineages

# In jobs that a cluster runs, too: they compare the parameters of what is finished of a submission.
lineages = Lineages(workflow.rules, lambda wildcards: Wildcards(fromdict=wildcards))
for each in workflow.rules:
    if "code" in each.params.keys():
        each.set_params(**{NAME: lineages.parameter(each)})
