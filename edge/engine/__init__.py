"""What turns pixels into scores."""
