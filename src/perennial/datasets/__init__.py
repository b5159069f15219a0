"""Landing files become immutable dataset versions, with a holdout that stays the same rows for good."""
