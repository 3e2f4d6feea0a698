"""What a generator does on faces it was not trained on."""
