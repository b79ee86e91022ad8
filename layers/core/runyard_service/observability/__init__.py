"""What a process tells of its work: log keys, measures, spans. It knows nothing of the rest."""
