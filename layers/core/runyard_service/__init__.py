"""Runyard: agent runs on AWS, without a server to operate."""
