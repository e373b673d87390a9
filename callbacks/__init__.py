"""Lightning callbacks: generative evaluation, prediction writer, run facts."""
