# One more parameter of every rule, behind all of them: what its inputs depend on; see zsad/lineage.py.
from snakemake.iocontainers import Wildcards

from zsad.lineage import NAME, Lineages

# The parameters of jobs are compared by the process that starts them.
if workflow.is_main_process:
    lineages = Lineages(workflow.rules, lambda wildcards: Wildcards(fromdict=wildcards))
    for each in workflow.rules:
        if "code" in each.params.keys():
            each.set_params(**{NAME: lineages.parameter(each)})
