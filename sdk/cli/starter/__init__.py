"""What `knownat init` writes: templates of a small project, and the sample data that it runs on."""
