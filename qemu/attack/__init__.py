"""What attackers bring along: a TPM spoken to byte by byte, the public parts of an image, an operating system of their own."""
