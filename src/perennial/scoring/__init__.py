"""Files through the one predictor, as a stream of Arrow batches in bounded memory."""
