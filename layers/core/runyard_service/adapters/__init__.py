"""Adapters for AWS services. Only this package calls DynamoDB and S3."""
