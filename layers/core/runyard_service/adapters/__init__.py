"""How a run is kept. DynamoDB and S3 are spoken to here and nowhere else."""
