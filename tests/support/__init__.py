"""What tests share: cases made concrete, and independent definitions of the operators."""
