"""Files that the stages hand to each other, one format a module; and what keeps them whole and checked."""
