"""One file a data set family; each is a function from a folder to a Split."""
