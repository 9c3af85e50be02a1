"""The room of FLUX.2 [klein]: loads its weights and runs it on one crop, behind `editing.diffusion.rooms`."""
