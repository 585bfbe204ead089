"""Every KFP component of every pipeline; a file has the name of its step."""
