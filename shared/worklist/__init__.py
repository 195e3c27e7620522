"""PS3.18 §11 The Worklist Service (UPS-RS): its transactions."""
