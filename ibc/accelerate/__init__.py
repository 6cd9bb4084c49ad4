"""What makes training and extraction fast: takes the plain objects of the method, returns faster ones, called alike.

    trunk            AlexNet's trunk in another order, fused on a GPU
    faster           the fastest update for a device
    update           update with the faster trunk, compiled
    cuda_graph       an update recorded once and replayed
    sharded_update   an update by several processes; sharded_adam: its optimiser
    global_labels    labels of several processes, counted together
    encoder          images to codes on a GPU, recorded and replayed
    pooling, kernels what torch does slowly on a GPU, in Triton
"""
