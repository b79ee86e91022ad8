"""Tests of the web console in Debian's chromium."""
