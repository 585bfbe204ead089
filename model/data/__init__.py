"""What enters: the catalogue's contract, its images and texts, and the step that prepares both."""
