"""The network: towers for images and texts, their fusion, and the model folder that holds them."""
