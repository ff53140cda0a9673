"""What tests are made with: the program recorded, a deployed stack found, what is there compared with what it says."""
