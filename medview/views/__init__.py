"""Scenes: slices, label overlays, ray casting, surfaces, and what the mouse does to them. VTK, no Qt.

VTK finds its OpenGL classes only when their modules have been imported; that is done here, once, where a freezer of the
program sees it too.
"""

import vtkmodules.vtkInteractionStyle
import vtkmodules.vtkRenderingFreeType
import vtkmodules.vtkRenderingOpenGL2
import vtkmodules.vtkRenderingVolumeOpenGL2
from vtkmodules.vtkCommonCore import vtkSMPTools

vtkSMPTools.SetBackend("STDThread")

__all__ = ["vtkmodules"]
