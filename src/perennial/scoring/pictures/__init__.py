"""Pictures as rows of a file: those in a zip, those a listing names, or one by itself."""
