"""Code that several suites share: clients, fake servers, and builders of test data."""
