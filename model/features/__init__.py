"""What else is known of Pins and users: statistics, tastes, semantic IDs."""
