"""The IoT Edge module: connection, outbox, module twin, direct methods, inputs and shutdown.

Imported on demand by ``edgevision run --upstream iotedge``; nothing else of edgevision loads
azure-iot-device.
"""
