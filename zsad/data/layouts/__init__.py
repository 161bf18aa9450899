"""The layouts of data sets on disk, one file per layout."""
