"""From the table of platforms to images: what is known of each device, and what is built from it.

::

    from edgevision.deploy import platforms

    platforms.names()                      # every row and family
    orin = platforms.platform("orin-r36")  # one of them, with everything it needs
    orin.devices.nodes, orin.groups, orin.modes, orin.docker_platform, orin.tag

- `edgevision.deploy.platforms`: platforms.yaml, read, checked and looked up.
- `edgevision.deploy.facts`: its types; each value says where it comes from.
- `edgevision.deploy.plan`: the images of a platform, and the arguments of each.
- `edgevision.deploy.bake`: a plan as a bake file and as commands.
- `edgevision.deploy.wheel`: OpenCV with CUDA as a wheel, outside of a container.
"""
