"""What a Pin vector is: learned, packed, judged. Knows nothing of orchestration."""
