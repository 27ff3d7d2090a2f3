"""The account of a request: keys and limits as files, admission, settlement, the usage log."""
