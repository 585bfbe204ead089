"""The Feast repository: entities, feature views and feature services of the published spaces.

Whoever imports a part of it first imports Feast, and does so the quick way (serving/feast_import.py).
"""

from serving.feast_import import import_feast

import_feast()
