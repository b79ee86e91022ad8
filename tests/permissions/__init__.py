"""What each function calls, held against what its role allows: in both directions."""
