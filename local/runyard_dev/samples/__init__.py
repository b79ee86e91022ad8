"""The services that the sample agents call."""
