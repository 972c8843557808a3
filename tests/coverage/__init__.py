"""Which branches of the kernels and the loaders the tests take."""
