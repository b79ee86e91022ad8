"""The AWS calls of each function, compared in both directions with the grants of its role."""
