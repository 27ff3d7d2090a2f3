"""`voxfleet-inference bench`: latency and underruns of any server with OpenAI's speech API, under concurrency."""
