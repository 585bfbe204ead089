"""MLflow: runs, model versions, the gate, and which version is challenger and champion."""
