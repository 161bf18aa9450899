"""Files that the stages exchange, one format per module, with atomic writing and checksums."""
