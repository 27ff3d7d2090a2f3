"""What the gateway and the inference server both speak. Pure.

Protocols of other servers, as translations into VoxFleet's sessions and back; the forms of lists, errors and uploads.
It is the one package that both may import.
"""
