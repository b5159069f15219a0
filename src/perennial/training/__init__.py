"""From rows to a version: candidates, search, selection, evaluation and the model card. scikit-learn lives here."""
