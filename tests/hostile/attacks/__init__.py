"""What the hostile tests are made of."""
