"""What all who speak to others over a network share."""
