"""The Feast repository: entities, feature views and feature services of the published spaces."""
