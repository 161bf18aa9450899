# Further checks if another workflow uses this one several times.
from zsad.workflow.snakemake_api import prefer_in_order
from zsad.workflow.variables import check_no_twin

folders = kept(workflow, "folders")
folders[MODULE] = {data.section: settings.results / data.name for data in settings.data_sets}
made = {
    user: {own.name for own in used.values() if "code" in own.rule.params.keys()} - {"download_dataset"}
    for user, used in kept(workflow, "rules").items()
}

try:
    check_no_twin(MODULE, made, folders)
except ZsadError as error:
    raise in_module(error)

# A data set that several modules read is downloaded by the first of them.
every = [item for used in kept(workflow, "rules").values() for item in used.items()]
prefer_in_order(workflow, [name for name, own in every if own.name == "download_dataset"])
