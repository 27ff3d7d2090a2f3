"""Speech protocols of other servers, over the same sessions and requests as VoxFleet's own."""
