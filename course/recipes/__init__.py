"""What is trained in the course, a file for each experiment: the only place that composes the parts."""
