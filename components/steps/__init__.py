"""The KFP components of all pipelines; each file is named like its step."""
