"""The Runyard command line. Importing this package does not import the service."""
