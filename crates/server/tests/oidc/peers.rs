//! Real clients log in: cosign with a device and with a browser, sigstore-python with a browser and with a code.
